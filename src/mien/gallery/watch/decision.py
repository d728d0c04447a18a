"""One decision a track: when to look, when to announce, when to take it back. No pixels here."""

import math
from dataclasses import replace
from typing import Literal

from mien.gallery.decide import Decision, Verdict
from mien.gallery.watch.config import WatchConfig
from mien.gallery.watch.evidence import Evidence

Change = Literal["decided", "corrected"]


class TrackDecision:
    """The sequential decision about one track.

    Every look at a track is one more chance to name a stranger, so the tolerated rate counts per
    track and is shared out: at most ``looks`` looks are made at one track, each at the threshold
    for ``fpir / looks``. By Bonferroni's inequality the chance that *any* of them names a stranger
    is then at most ``fpir``, however much the looks depend on each other and whichever of them
    ends up deciding, corrections included. It is the looks' rates that are added up, so what holds
    for the calibration holds here: it is measured on single photos, and a template of several
    frames is taken to raise no more false alarms than those.

    Looks come when the evidence has grown, not with every frame: while a track is undecided with
    each new face at least ``look_gap_s`` after the last look, then each time the evidence has
    multiplied by ``growth``, and again soon after a look that contradicts the decision. Once all
    looks are used up the decision stands.

    Source:
        Deciding as soon as the evidence suffices is the idea of Wald, "Sequential Tests of
        Statistical Hypotheses", Annals of Mathematical Statistics 16, 1945. Ours is not his
        probability ratio test, which needs the samples' likelihoods and their independence, and
        frames of one film are not independent. It is a group-sequential rule with a bounded number
        of looks, as in Pocock, Biometrika 64, 1977, but with Bonferroni's equal shares in place of
        his narrower bounds.

    Attributes:
        verdict: The decision in force; None while there is none.
        decided_s: When the first decision was taken.
        looks: Looks made so far.
        corrections: Decisions taken back so far.
    """

    def __init__(self, config: WatchConfig, opened_s: float) -> None:
        self._config = config
        self._opened_s = opened_s
        self._looked_s = -math.inf
        self._seen_count = 0  # samples at the last look
        self._seen_mass = 0.0
        self._last: Verdict | None = None
        self._streak = 0  # looks in a row that gave the same answer as the last
        self._is_contested = False
        self.verdict: Verdict | None = None
        self.decided_s: float | None = None
        self.looks = 0
        self.corrections = 0

    def is_due(self, evidence: Evidence, now_s: float) -> bool:
        """Whether the track's template should be compared with the gallery now."""
        config = self._config
        if self.looks >= config.looks or evidence.count == self._seen_count:
            return False
        if self.looks == 0:
            return evidence.mass >= config.min_evidence or self.is_late(now_s)
        if now_s - self._looked_s < config.look_gap_s:
            return False
        is_open = self._is_open() or self._is_contested
        return is_open or evidence.mass >= config.growth * self._seen_mass

    def is_late(self, now_s: float) -> bool:
        """Whether the track is still undecided at an age at which it must be decided."""
        return self.verdict is None and now_s - self._opened_s >= self._config.patience_s

    def is_unfinished(self, evidence: Evidence) -> bool:
        """Whether an ending track that has no answer yet deserves one more look."""
        has_news = evidence.count > self._seen_count and self.looks < self._config.looks
        return self._is_open() and has_news

    def take(self, verdict: Verdict, evidence: Evidence, now_s: float) -> Change | None:
        """Take in what one look said.

        Returns:
            ``"decided"`` or ``"corrected"`` if that changes what is known about the track.
        """
        self.looks += 1
        words = f"look {self.looks} of {self._config.looks}, {evidence.count} faces of the track"
        verdict = replace(verdict, reasons=(*verdict.reasons, words))
        self._looked_s, self._seen_count, self._seen_mass = now_s, evidence.count, evidence.mass
        is_same = self._last is not None and _answer(self._last) == _answer(verdict)
        self._streak = self._streak + 1 if is_same else 1
        self._last = verdict
        if self.verdict is not None and not self._is_open():
            return self._reconsider(self.verdict, verdict)
        is_final = self.looks == self._config.looks or self.is_late(now_s)
        return (
            self._adopt(verdict, now_s) if is_final or self._is_enough(verdict, evidence) else None
        )

    def settle(self, evidence: Evidence, now_s: float) -> Change | None:
        """Decide an open track with what there is: its last look, or that it has none."""
        if not self._is_open():
            return None
        if self._last is not None:
            return self._adopt(self._last, now_s)
        if self.verdict is not None:
            return None
        reasons = evidence.words()
        return self._adopt(Verdict(Decision.NOT_COMPARABLE, None, None, None, reasons), now_s)

    def _is_open(self) -> bool:
        """Whether any answer is news: there is none yet, or only that nothing can be compared."""
        return self.verdict is None or self.verdict.decision is Decision.NOT_COMPARABLE

    def _is_enough(self, found: Verdict, evidence: Evidence) -> bool:
        """The stopping rule."""
        if found.decision is Decision.MATCH:
            return self._streak >= self._config.agree or _excess(found) >= self._config.clear_cos
        return evidence.count >= self._config.unknown_samples

    def _reconsider(self, old: Verdict, new: Verdict) -> Change | None:
        if _answer(old) == _answer(new):
            self.verdict, self._is_contested = new, False
            return None
        self._is_contested = self._contradicts(old, new)
        if not self._is_contested:
            self._streak = 0
            return None
        if self._streak < self._config.agree:
            return None
        self.verdict, self._is_contested = new, False
        self.corrections += 1
        return "corrected"

    def _contradicts(self, old: Verdict, new: Verdict) -> bool:
        """Whether another answer is far enough from the decision in force to count."""
        if new.decision is Decision.UNKNOWN:
            return _excess(new) < -self._config.hysteresis_cos
        if old.decision is Decision.MATCH:
            return new.candidates[0].person != old.person
        if old.decision is Decision.UNKNOWN:
            return _excess(new) >= self._config.hysteresis_cos
        return _lead(new) >= self._config.margin + self._config.hysteresis_cos

    def _adopt(self, verdict: Verdict, now_s: float) -> Change:
        """Take an answer for the decision of an open track."""
        is_first = self.verdict is None
        self.verdict = verdict
        if is_first:
            self.decided_s = now_s
            return "decided"
        self.corrections += 1
        return "corrected"


def _answer(verdict: Verdict) -> tuple[Decision, str | None]:
    return verdict.decision, verdict.person


def _excess(verdict: Verdict) -> float:
    """How far the score lies above the threshold; an empty gallery is infinitely below."""
    if verdict.score is None or verdict.point is None:
        return -math.inf
    return verdict.score - verdict.point.threshold


def _lead(verdict: Verdict) -> float:
    """By how much the best person leads."""
    scores = [candidate.score for candidate in verdict.candidates[:2]]
    return scores[0] - scores[1] if scores[1:] else math.inf
