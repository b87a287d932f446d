"""More of what comes in from scripts that are broken or mean harm: name, text, expected code.

Every one has the id 1 and is answered with an error of that code, whatever the door.
"""

INVALID, MISSING, PARAMS = -32600, -32601, -32602
NOT_FOUND, CURSOR, LATE = -32001, -32007, -32008


def call(method: str, params: str) -> str:
    return f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}'


def on(method: str, *params: str, code: int = PARAMS) -> list[tuple[str, str, int]]:
    return [(f"{method} {each[:40]}", call(method, each), code) for each in params]


BIG = str(2**63)
HOSTILE: list[tuple[str, str, int]] = [
    *on("candidate.get", '{"id":1}', '{"id":null}', '{"id":["c1"]}', "{}", '{"ID":"c1"}'),
    *on("candidate.get", '{"id":"c99"}', '{"id":""}', '{"id":"../c1"}', code=NOT_FOUND),
    *on("candidate.get", '{"id":"c1\\u0000"}', '{"id":"\\u202ec1"}', code=NOT_FOUND),
    *on("candidate.get", '{"id":"' + "c" * 10_000 + '"}', code=NOT_FOUND),
    *on("candidate.list", '{"limit":0}', '{"limit":-1}', '{"limit":1e9}', '{"limit":"5"}'),
    *on("candidate.list", '{"limit":' + BIG + "}", '{"limit":true}', '{"limit":1.5}'),
    *on("candidate.list", '{"phases":"held"}', '{"phases":["no"]}', '{"phases":[1]}'),
    *on("candidate.list", '{"phases":{"held":1}}', '{"cursor":5}', '{"cursor":"zz"}'),
    *on("candidate.diff", '{"id":"c3","offset":-1}', '{"id":"c3","limit":0}', '{"id":"c3","x":1}'),
    *on("candidate.diff", '{"id":"c3","limit":' + BIG + "}", '{"id":"c3","raw":"yes"}'),
    *on("candidate.submit", '{"diff":"","title":"t"}', "{}", '{"diff":"d","title":" "}'),
    *on("candidate.submit", '{"diff":1,"title":"t"}', '{"diff":"d"}', '{"title":"t"}'),
    *on("candidate.submit", '{"diff":"d","title":"' + "t" * 501 + '"}'),
    *on("candidate.approve", '{"id":"c3"}', '{"id":"c3","commit":""}', '{"commit":"b"}', "[]"),
    *on(
        "candidate.approve",
        '{"id":"c3","commit":"b","force":true}',
        '["c3","b","r","s","t","u","v"]',
    ),
    *on("candidate.wait", '{"id":"c3","timeout_s":-0.1}', '{"id":"c3","timeout_s":1e300}'),
    *on("candidate.wait", '{"id":"c3","timeout_s":"1"}', '{"id":"c3","until":["HELD"]}'),
    *on("candidate.wait", '{"id":"c1","until":["kept"],"timeout_s":0}', code=LATE),
    *on("engine.pause", '{"mode":"NOW"}', '{"mode":null}', '{"reason":5}', "[1,2,3]", '["a","b"]'),
    *on("engine.wait", '{"until":"idle"}', '{"until":["sleeping"]}', '{"timeout_s":3600.1}'),
    *on("version.rollback", "{}", '{"to":1}', '{"to":null}', '{"to":"0","expectHead":"x"}'),
    *on("version.get", '{"ref":"99"}', '{"ref":"-1"}', '{"ref":"0 OR 1=1"}', code=NOT_FOUND),
    *on("governor.set_limits", '{"changes":{}}', '{"changes":[],"reason":"r"}', '{"reason":"r"}'),
    *on("governor.set_limits", '{"changes":{"__class__":{}},"reason":"r"}'),
    *on("ledger.get", '{"seq":"1"}', '{"seq":1.5}', '{"seq":' + "9" * 30 + "}"),
    *on("ledger.get", '{"seq":0}', '{"seq":-1}'),
    *on("ledger.get", '{"seq":99999}', code=NOT_FOUND),
    *on("ledger.list", '{"before":-1}', '{"limit":1001}', '{"kind":1}', '{"candidate":{}}'),
    *on("events.list", '{"from_seq":-1}', '{"wait_s":61}', '{"topics":[]}', '{"topics":[""]}'),
    *on("events.list", '{"topics":["' + "a" * 129 + '"]}', '{"limit":0}', '{"topics":"*"}'),
    *on("events.list", '{"from_seq":99999}', code=CURSOR),
    *on("token.create", '{"name":"","reason":"r"}', '{"name":"a/b","reason":"r"}'),
    *on("token.create", '{"name":"a\\n","reason":"r"}', '{"name":"a","reason":"r","role":"admin"}'),
    *on("system.ping", '{"x":1}', "[1]", '{"":0}', '{"__proto__":{}}', '{"constructor":1}'),
    *on("log.tail", '{"after":-2}', '{"level":"debug"}', '{"limit":0}'),
    *on("metrics.query", '{"name":"x","begin":-1}', '{"name":"x","step_s":0}', "{}"),
    *on("cycle.get", '{"number":0}', '{"number":"1"}', '{"number":' + "9" * 30 + "}"),
    *on("alert.ack", '{"seq":0}', '{"seq":"1"}', '{"seq":1,"reason":7}'),
    *on("config.history", '{"limit":0}', '{"limit":501}'),
    *on("config.validate", "{}", '{"text":1}'),
    *on("system.__class__", "{}", code=MISSING),
    *on("__init__", "{}", code=MISSING),
    *on("rpc.nothing", "{}", code=MISSING),
    *on("candidate.get ", '{"id":"c1"}', code=MISSING),
    *on("candidate..get", '{"id":"c1"}', code=MISSING),
    *on("/candidate/get", '{"id":"c1"}', code=MISSING),
]
