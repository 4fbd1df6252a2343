"""Does thetahat train on this device as it does on a CPU, and how fast?"""
