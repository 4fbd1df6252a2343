"""How many of 100 seeds solve each functional equation of ``examples/equations``, and how well?"""
