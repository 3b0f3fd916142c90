"""Many fits held against each other: who takes part, their runs, what the test part says of them, the verdicts."""
