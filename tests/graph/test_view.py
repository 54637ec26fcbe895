from streamproc.graph.view import view_state


def test_a_graph_at_the_commit_or_ahead_of_it_is_current():
    assert view_state({("graph.notes", 0): 9}, {("graph.notes", 0): 10}).current
    assert view_state({("graph.notes", 0): 12}, {("graph.notes", 0): 10}).current


def test_a_partition_of_which_nothing_is_committed_asks_nothing_of_the_graph():
    assert view_state({}, {("graph.notes", 0): 0}).current
    assert view_state({}, {}).current


def test_a_lost_graph_is_behind_and_the_message_names_the_remedy():
    state = view_state({}, {("graph.notes", 0): 10, ("graph.notes", 1): 3})
    assert not state.current
    assert state.behind == (("graph.notes", 0), ("graph.notes", 1))
    assert "streamproc graph rebuild" in state.message
    assert "nothing of graph.notes/0 (and 1 more partitions), but offset 9" in state.message


def test_a_graph_that_lacks_committed_records_is_behind():
    state = view_state({("graph.notes", 0): 5}, {("graph.notes", 0): 10})
    assert state.behind == (("graph.notes", 0),)
    assert "up to offset 5" in state.message
