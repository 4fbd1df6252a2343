"""What does double descent cost, beside the lectures' loop of PyTorch fits?"""
