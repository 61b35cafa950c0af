from services.auth.csrf import Csrf

OLD, NEW = "an old secret of thirty-two characters", "a new secret of thirty-two characters!"
SESSION = "sess_0123456789abcdef"


def test_a_token_is_good_for_its_own_session_only() -> None:
    csrf = Csrf([OLD])
    assert csrf.valid(SESSION, csrf.token(SESSION))
    assert not csrf.valid("sess_0000000000000000", csrf.token(SESSION))


def test_no_token_is_no_good() -> None:
    for nothing in (None, "", " ", "ü", Csrf([NEW]).token(SESSION), Csrf([OLD]).token(SESSION).upper()):
        assert not Csrf([OLD]).valid(SESSION, nothing)


def test_who_is_signed_in_stays_so_while_the_secrets_are_rotated() -> None:
    both = Csrf([NEW, OLD])
    assert both.valid(SESSION, Csrf([OLD]).token(SESSION))
    assert both.token(SESSION) == Csrf([NEW]).token(SESSION)
