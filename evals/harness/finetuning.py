"""stub for the moment"""
class Jobs:
    def __init__(self,*a): pass
    def served(self, model): return model.served
