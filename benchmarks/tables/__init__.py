"""The defaults of ``thetahat fit`` on eleven small tables, beside other estimators' defaults."""
