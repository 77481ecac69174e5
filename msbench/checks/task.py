CHECKS = (lambda s: None,)
