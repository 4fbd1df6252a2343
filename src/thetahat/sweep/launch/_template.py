"""The script of a job: a template of ours, or of the user, whose fields a launch fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from thetahat.core.errors import ConfigError, did_you_mean

TEMPLATE = """\
#!/bin/bash
{{options}}

# What the agent needs before it starts: modules, an environment, variables of your programs.
# module load python

export THETAHAT_STORE={{store}}

# Before the time limit Slurm sends USR1 to this shell; when it ends a job, TERM to all processes.
# The agent then returns its runs to the queue of the sweep. After USR1 the job returns to the queue
# of Slurm, to go on.
limit= agent=
trap 'limit=near; kill -TERM $agent' USR1
trap 'kill -TERM $agent' TERM INT
{{agent}} &
agent=$!
wait $agent; code=$?
while kill -0 $agent 2>/dev/null; do wait $agent; code=$?; done
if [ -n "$limit" ] && [ $code -ge 128 ]; then exec scontrol requeue $SLURM_JOB_ID; fi
exit $code
"""
"""The default, which a user may copy and change."""
FIELDS = {
    "options": "the lines of #SBATCH",
    "store": "the store, quoted for a shell",
    "agent": "the command of the agent",
    "arguments": "the words of that command behind thetahat, for a container",
}
_FIELD = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def filled(template: str, values: Mapping[str, str], file: str) -> str:
    """Put values into a template; ``{{name}}`` is a field.

    Args:    file: the name of the template, for messages.
    Raises:  ConfigError: a field that does not exist, or one that is missing.

    >>> filled("#!/bin/sh\\n{{options}}\\n{{agent}}", {"options": "#SBATCH", "agent": "x"}, "a.sh")
    '#!/bin/sh\\n#SBATCH\\nx'
    """
    found = _FIELD.findall(template)
    for name in found:
        if name not in FIELDS:
            raise ConfigError(
                f"{file}: the template has no field {{{{{name}}}}}{did_you_mean(name, FIELDS)}"
            )
    if not template.startswith("#!"):
        raise ConfigError(
            f"{file}: the first line must name a shell, as Slurm wants it: #!/bin/bash"
        )
    if "options" not in found or not {"agent", "arguments"} & set(found):
        raise ConfigError(
            f"{file}: the template needs {{{{options}}}}, and {{{{agent}}}} or {{{{arguments}}}};"
            " thetahat launch ID --slurm --print shows a filled one"
        )
    return _FIELD.sub(lambda field: values[field[1]], template)
