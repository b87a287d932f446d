"""Format and split a script of ordinary SQL, as an editor plug-in or a migration tool would."""

import sqlparse

STATEMENTS = [
    "select a.id, a.name, count(b.id) as n from accounts a left join bookings b on "
    "b.account_id = a.id where a.created > '2024-01-01' and (a.kind in (1, 2, 3) or a.kind is "
    "null) group by a.id, a.name having count(b.id) > 10 order by n desc limit 50;",
    "insert into bookings (id, account_id, amount, note) values (1, 2, 3.50, 'first; really'), "
    "(2, 2, -1.25, 'it''s a refund'), (3, 4, 100, null);",
    "create table if not exists ledger (id integer primary key, at timestamp not null default "
    "current_timestamp, body text check (length(body) > 0), hash char(64) unique); -- append only",
    "with recursive t(n) as (select 1 union all select n + 1 from t where n < 100) select "
    "sum(n), avg(n), case when max(n) > 50 then 'many' else 'few' end from t;",
    "update accounts set name = upper(name), touched = now() where id between 10 and 99 and not "
    "exists (select 1 from closed c where c.account_id = accounts.id) /* slow */;",
]


def main() -> None:
    script = "\n".join(STATEMENTS * 2)
    total = 0
    for statement in sqlparse.split(script):
        text = sqlparse.format(statement, reindent=True, keyword_case="upper")
        total += len(text) + len(sqlparse.parse(text)[0].tokens)
    print(total)


main()
