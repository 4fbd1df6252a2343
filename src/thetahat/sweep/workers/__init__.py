"""Workers: processes that import and compile once, and train cohorts for an agent."""
