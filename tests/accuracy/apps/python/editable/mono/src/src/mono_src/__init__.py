PLACE = __name__
