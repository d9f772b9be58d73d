"""How the API description introduces the service."""

INTRODUCTION = """\
Rollcall decides who may log in to a learning portal. Training administrators, HR systems and scripts change that
for one learner, for a selection, or with a CSV file.

**Statuses** are worked out at each read and never stored: `active`, `activated` (has access but has not used it yet),
`deactivated`, `expired`. To restore an expired account, change or remove its expiration date. `restores_to` is the
status that it then has. A deactivation is in effect before the response is sent. It deletes nothing.

**Scopes**: each operation lists the scopes that it accepts in `x-required-scopes`. Any one of them is enough, and
`admin` includes them all.
"""
