"""English words that replies begin with, which are no names although they are capitalised there.

spaCy's stop words ("The", "Your", "What") aren't repeated. What a domain's own replies and its
schema hold needs no place here either: a word that is missing costs one written reply, whose place
a support reply takes; a name that is here could be made up.
"""

from __future__ import annotations

__all__ = ["OPENERS"]

_ANSWERS = """
absolutely accepted actually agreed ah aha alas alright apologies awesome aww bonjour bravo
brilliant bye certainly cheers congratulations cool correct dear definitely done exactly excellent
exciting excuse fair fantastic farewell finally fine forgive fun glad gladly good goodbye gosh great
greetings ha haha happy hello hey hi hm hmm hooray hurray indeed kindly lovely luckily maybe
naturally nice nope noted oh ok okay oops ouch perfect perhaps phew pity pleased possibly probably
right roughly sadly sorry splendid super sure surely terrific thank thankfully thanks true ugh
understood unfortunately usually welcome whoops wonderful wow yay yeah yep yes yup
"""
_ACTS = """
add allow ask begin book bring call cancel change check choose click collect come confirm contact
deliver drop eat enjoy enter expect feel fetch fill find follow get give help hold issue keep leave
let like look need note open order pay phone pick please press read register remember rent repair
report request reserve return run save say search select send set shall share sign speak start stay
stop submit switch tell touch try turn type use visit wait want watch write
"""
_DEEDS = """
accepted activated added applied approved arranged asked asking blocked booked booking bought
canceled cancelled cancelling changed changing checked checking cleared closed collected completed
confirmed confirming corrected created delivered entered extended filed finding fixed forwarded
found getting given going got having held included initiating issued kept logged looking made making
marked moved moving noted opened opening ordered paid paused paying placed placing planned prepared
processed processing putting received recorded refunded registered removed renewed reopened replaced
reported requested rescheduled reserved reserving returned saved saving scheduled searching sending
sent setting settled shared signed sold sorted starting stopped stored submitted swapped switched
taken transferring trying updated updating upgraded used waiting written
"""
_OTHERS = """
additionally best better cheap cheaper cheapest currently early easy extra free half hopefully
immediately instead later likely meanwhile near nearby new nobody normally old plenty quick ready
safe shame somebody soon sounds strictly today tomorrow tonight
"""

#: In lower case.
OPENERS = frozenset(f"{_ANSWERS} {_ACTS} {_DEEDS} {_OTHERS}".split())
