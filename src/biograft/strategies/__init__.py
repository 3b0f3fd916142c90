"""How knowledge is carried over: which parameters move, in which phases, under which losses."""
