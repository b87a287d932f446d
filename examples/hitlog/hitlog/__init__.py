"""Reports from web server access logs."""

from hitlog.parser import parse_line, parse_lines
from hitlog.records import Hit, Session
from hitlog.report import Report, analyse, render

__all__ = ["Hit", "Report", "Session", "analyse", "parse_line", "parse_lines", "render"]
