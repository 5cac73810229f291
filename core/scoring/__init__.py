"""How good a prompt is: tokenised rows, contenders, scores, and what may be concluded from them."""
