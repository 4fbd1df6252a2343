"""What does a fit cost beside its training, once its program is compiled?"""
