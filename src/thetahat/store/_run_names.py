"""Memorable names: adjective-noun-number, such as ``calm-otter-7``.

The number counts the runs of a store, so names are unique there. The two words are a fixed function
of the number: the same commands give the same names everywhere.
"""

from __future__ import annotations

_ADJECTIVES = """
able active agile airy alert amber ample apt arctic autumn azure balmy basic beige bold brave
brief bright brisk bronze calm candid careful cheerful chief civil classic clean clear clever
coastal cobalt comfy cool copper coral cosy crimson crisp curious cyan dapper daring deep deft
dewy eager early earnest easy elegant emerald even exact fair famous fancy fast fine firm fleet
fluent fond frank free fresh friendly gentle giant glad gleaming golden good grand great green
happy hardy hazel hearty helpful honest humble indigo ivory jade jolly jovial keen kind lasting
lawful level light lilac lively loyal lucid lucky lunar magenta major maroon mellow merry mighty
mild mint modest neat new nimble noble novel oak ochre olive open orange orderly pale patient
pearl plain playful polar polite prime proper proud prudent quick quiet rapid ready regal robust
rosy round royal ruby rustic sage scarlet sensible serene sharp shiny silent silver simple sincere
sleek smart smooth snowy social solar solid sound steady stellar still sturdy subtle sunny sure
swift tall teal tender tidy topaz tranquil true trusty upbeat urban valid vast velvet verdant
violet vivid warm wise witty young zesty
"""

_NOUNS = """
acorn alder anchor apple arbor arrow aspen atlas badger bamboo basil bay beacon bear beaver beech
birch bison bloom bluff breeze bridge brook canal canyon cape cedar cherry cliff clover cloud
comet compass coral cove crane creek crest cricket crow cypress daisy dawn delta dolphin dove dune
eagle echo elm ember falcon fern field finch fir fjord flame forest fountain fox garden garnet
geyser ginger glacier glade goose grove gull harbor hare harvest hawk hazel heath heron hill
hollow horizon ibis iris island ivy jasmine juniper kestrel kite koala lagoon lake lantern lark
laurel leaf lemon lily linden lion lotus lynx magnolia mango maple marble marsh martin meadow
meteor mill mint moon moose moss mountain myrtle nebula nest newt oasis ocean olive orchard orchid
osprey otter owl palm panda peach peak pebble pelican penguin pepper pine planet plateau plum pond
poplar poppy prairie puffin quail quartz rain raven reed reef ridge river robin rose sable saffron
sail salmon sequoia shore sparrow spring spruce star stone storm stream summit sun swallow swan
thistle thrush tide tiger trail tulip tundra turtle valley vine violet walnut wave willow wind
wolf wren zephyr
"""

ADJECTIVES = tuple(_ADJECTIVES.split())
NOUNS = tuple(_NOUNS.split())


def run_name(number: int) -> str:
    """Return the name of the ``number``-th run of a store, from 1.

    >>> run_name(1), run_name(2), run_name(3)
    ('bright-magnolia-1', 'mild-sun-2', 'ample-dune-3')
    """
    # Steps that are coprime to the lengths visit every word once per round.
    rounds, place = divmod(number - 1, len(ADJECTIVES))
    adjective = ADJECTIVES[(17 + 89 * place) % len(ADJECTIVES)]
    noun = NOUNS[(101 + 67 * (number - 1) + rounds) % len(NOUNS)]
    return f"{adjective}-{noun}-{number}"
