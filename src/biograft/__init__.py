"""biograft"""
