"""Who gets something from the chief of a search."""

import threading
import time

import grpc
import keras_tuner
import pytest
from keras_tuner.src import protos

from mtlkit.search import _chief_access as access
from mtlkit.search._oracles import make_oracle
from mtlkit.search._running import _lease, _touch, beat_path, serving


def make_random(directory):
    """An oracle that keeps what it knows in a folder."""
    space = keras_tuner.HyperParameters()
    space.Choice("a", [1, 2, 3])
    made = make_oracle("random", space, max_trials=3, epochs=1, seed=0)
    made._set_project_dir(str(directory), "search")
    return made


@pytest.fixture
def oracle(tmp_path):
    return make_random(tmp_path)


@pytest.fixture
def chief(oracle, tmp_path):
    """The address of a chief, and what it was asked."""
    with serving(oracle, "127.0.0.1:0", tmp_path) as servicer:
        yield f"127.0.0.1:{servicer.port}"


def asks(stub):
    request = protos.get_service().CreateTrialRequest(tuner_id="tuner0")
    return stub.CreateTrial(request, timeout=20).trial


class TestToken:
    def test_is_made_once_and_is_its_owners(self, tmp_path):
        token = access.make_token(tmp_path)
        assert len(token) == 64 and access.make_token(tmp_path) == token
        assert access.known_token(tmp_path) == token
        assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600

    def test_an_empty_file_is_no_token(self, tmp_path):
        (tmp_path / "token").touch()
        assert len(access.make_token(tmp_path)) == 64

    def test_differs_from_search_to_search(self, tmp_path):
        (tmp_path / "other").mkdir()
        assert access.make_token(tmp_path) != access.make_token(tmp_path / "other")

    def test_may_come_from_the_environment(self, tmp_path, monkeypatch):
        monkeypatch.setenv(access.VARIABLE, "secret")
        assert access.make_token(tmp_path) == access.known_token(tmp_path) == "secret"
        assert not (tmp_path / "token").exists()

    def test_a_worker_waits_for_the_chief_to_make_it(self, tmp_path, monkeypatch):
        monkeypatch.setattr(access, "_PATIENCE", 0.1)
        monkeypatch.setattr(access, "_PAUSE", 0.05)
        with pytest.raises(ValueError, match=r"token of the chief.*Start the chief first"):
            access.known_token(tmp_path)


class TestChief:
    def test_who_knows_the_token_gets_a_trial(self, chief, tmp_path):
        stub = access.with_token(chief, access.known_token(tmp_path))
        assert asks(stub).trial_id == "0"

    @pytest.mark.parametrize("token", [None, "", "wrong", "wröng"])
    def test_nobody_else_gets_anything(self, chief, oracle, token):
        channel = grpc.insecure_channel(chief)
        stub = protos.get_service_grpc().OracleStub(channel)
        if token is not None and token.isascii():
            stub = access.with_token(chief, token, patience=0)
        with pytest.raises(grpc.RpcError) as error:
            asks(stub)
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert not oracle.trials

    def test_a_worker_waits_for_a_chief_that_is_started_again(self, oracle, tmp_path, monkeypatch):
        monkeypatch.setattr(access, "_PAUSE", 0.05)
        with serving(oracle, "127.0.0.1:0", tmp_path) as servicer:
            address = f"127.0.0.1:{servicer.port}"
        stub = access.with_token(address, access.known_token(tmp_path), patience=0.3)
        with pytest.raises(grpc.RpcError) as error:
            asks(stub)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        stub = access.with_token(address, access.known_token(tmp_path), patience=30)
        with serving(oracle, address, tmp_path):
            assert asks(stub).trial_id == "0"


def test_a_result_that_is_reported_twice_counts_once(oracle):
    trial = oracle.create_trial("tuner0")
    oracle.update_trial(trial.trial_id, {"score": 0.5})
    oracle.requeue(trial.trial_id)  # as a chief does that is started again
    trial.status = "COMPLETED"
    for _ in range(2):
        oracle.end_trial(trial)
    assert oracle.end_order == [trial.trial_id]
    assert not oracle._retry_queue and not oracle.ongoing_trials
    assert oracle.create_trial("tuner0").trial_id != trial.trial_id


def test_a_score_outlives_the_chief_that_was_given_it(oracle, tmp_path):
    """A chief may be killed after a trial was scored, and before it was ended."""
    trial = oracle.create_trial("tuner0")
    oracle.update_trial(trial.trial_id, {"score": 0.5})
    (tmp_path / "search" / ".oracle.json.abc").touch()  # killed while it wrote
    again = make_random(tmp_path)
    again.reload()
    assert not list((tmp_path / "search").glob(".*"))
    trial.status = "COMPLETED"
    again.end_trial(trial)
    assert again.trials[trial.trial_id].score == 0.5


def test_an_error_of_one_worker_does_not_stop_the_others(chief, oracle, tmp_path):
    stub = access.with_token(chief, access.known_token(tmp_path))
    nobody_knows = keras_tuner.engine.trial.Trial(oracle.get_space(), "77", "COMPLETED")
    with pytest.raises(grpc.RpcError) as error:
        stub.EndTrial(
            protos.get_service().EndTrialRequest(trial=nobody_knows.to_proto()), timeout=20
        )
    assert error.value.code() == grpc.StatusCode.UNKNOWN
    assert asks(stub).trial_id == "0"
    giving_up = threading.Thread(target=oracle.abandon, args=["tuner0"], daemon=True)
    giving_up.start()  # as the chief itself does, in a thread of its own
    giving_up.join(20)
    assert not giving_up.is_alive() and not oracle.ongoing_trials


class TestLease:
    def test_a_folder_has_one_chief(self, tmp_path, monkeypatch):
        monkeypatch.setattr("mtlkit.search._running._LEASE", 0.5)
        monkeypatch.setattr("mtlkit.search._running.BEAT", 0.1)
        second = pytest.raises(ValueError, match="Expected one chief")
        with _lease(tmp_path), second, _lease(tmp_path):
            pass
        assert not beat_path(tmp_path, "lease").exists()

    def test_of_two_that_begin_at_once_one_has_it(self, tmp_path, monkeypatch):
        monkeypatch.setattr("mtlkit.search._running._LEASE", 1.0)
        monkeypatch.setattr("mtlkit.search._running.BEAT", 0.2)
        both, enough, outcomes = threading.Barrier(2), threading.Event(), []

        def begin():
            both.wait()
            try:
                with _lease(tmp_path):
                    outcomes.append("has it")
                    enough.wait(30)
            except ValueError as error:
                outcomes.append(str(error))
                enough.set()

        chiefs = [threading.Thread(target=begin) for _ in range(2)]
        for chief in chiefs:
            chief.start()
        for chief in chiefs:
            chief.join(30)
        assert sorted(outcomes)[1] == "has it"
        assert "Expected one chief" in sorted(outcomes)[0]

    def test_the_lease_of_a_dead_one_ends(self, tmp_path, monkeypatch):
        monkeypatch.setattr("mtlkit.search._running._LEASE", 0.5)
        monkeypatch.setattr("mtlkit.search._running.BEAT", 0.1)
        _touch(beat_path(tmp_path, "lease"))
        start = time.monotonic()
        with _lease(tmp_path):
            assert 0.2 < time.monotonic() - start < 2
