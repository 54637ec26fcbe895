"""Texts the tests encode."""

SENTENCES = (
    "The council approved the new tram line after a long night of debate.",
    "City politicians voted for another light railway late in the evening.",
    "Whisk the egg whites until they hold soft peaks, then fold in the sugar.",
    "my gpu fans spin up and the screen goes black whenever i launch a game, psu is 550w. any ideas?",
    "train tickets",
    "Ein kurzer Satz – mit Umlauten: äöü ß 漢字 🚋!",
)
