"""Tables as a web page of its own."""

import jinja2

from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, best_values
from recrepro.analysis.verdict import BoardVerdict
from recrepro.tables import verdicts as judgements
from recrepro.tables.cells import heading, interval, legend, marks, number, verdict_cells

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Leaderboard</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 2rem 0 .5rem; }
caption { font-weight: bold; text-align: left; padding: .3rem 0; }
th, td { border-bottom: 1px solid #bbb; padding: .25rem .75rem .25rem 0; text-align: left;
  vertical-align: top; font-weight: normal; }
thead th, .best { font-weight: bold; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.interval { display: block; font-size: .8em; color: #555; }
.wide { overflow-x: auto; }
</style>
</head>
<body>
<main>
<h1>Leaderboard</h1>
{% for board in boards %}
<div class="wide" tabindex="0" role="region" aria-label="{{ heading(board) }}">
<table>
<caption>{{ heading(board) }}</caption>
<thead>
<tr><th scope="col">model</th>
{% for metric in board.metrics %}<th scope="col" class="number">{{ metric }}</th>
{% endfor %}<th scope="col">status</th><th scope="col">notes</th></tr>
</thead>
<tbody>
{% set best = best_values(board) %}
{% for row in board.rows %}
<tr><th scope="row">{{ row.model }}</th>
{% for metric in board.metrics %}
{% set leads = metric in row.means and row.means[metric] == best.get(metric) %}
<td class="number">{% if leads %}<strong class="best">{{ number(row, metric) }}</strong>
{%- else %}{{ number(row, metric) }}{% endif %}<sup>{{ marks(row, metric) }}</sup>
{% if metric in row.chance %}
<span class="interval">{{ interval(row, metric) }}</span>
{% endif %}
</td>
{% endfor %}
<td>{{ row.status }}</td><td>{{ row.notes | join("; ") }}</td></tr>
{% endfor %}
</tbody>
</table>
</div>
{% for note in legend(board) + board.notes | list %}<p>{{ note }}.</p>
{% endfor %}
{% endfor %}
{% if judged %}
<h2>Better than simple baselines?</h2>
<ul>
{% for line in judged %}<li>{{ line.strip() }}</li>
{% endfor %}
</ul>
<p>{{ explanation }}</p>
{% endif %}
{% if expected %}
<table>
<caption>Expected against got</caption>
<thead><tr>{% for name in expected[0] %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in expected %}
<tr>{% for cell in row.values() %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% endif %}
</main>
</body>
</html>
"""


def write(
    boards: list[Leaderboard], verdicts: list[ExpectationCheck], judged: list[BoardVerdict]
) -> str:
    """Write a page that needs no other file; the best value of each column is bold."""
    page = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(PAGE)
    return page.render(
        boards=boards,
        expected=[verdict_cells(one) for one in verdicts],
        judged=judgements.lines(judged),
        explanation=judgements.EXPLANATION,
        **{tool.__name__: tool for tool in (best_values, heading, interval, legend, marks, number)},
    )
