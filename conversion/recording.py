"""What a converted model says about itself: release, source, facts, what was compared."""

import datetime
import importlib.metadata
from typing import Any

from kerasvit.conversion.names.rules import Assignment
from kerasvit.conversion.planning import Plan
from kerasvit.conversion.proof.proving import Proof


def make_record(plan: Plan, assignment: Assignment, proof: Proof) -> dict[str, Any]:
    """Return the record of a converted model as JSON-able values.

    Args:
        plan: what was decided, with the origin of each fact.
        assignment: what became of the tensors.
        proof: what the model was compared with.
    """
    checkpoint, release = plan.checkpoint, plan.release
    published = {
        "release": release and release.name,
        "licence": release and release.licence,
        "reference": release and release.reference,
    }
    return {
        **{key: value for key, value in published.items() if value},
        **plan.record,
        "source": {
            "file": checkpoint.path.name if checkpoint.path else "weights in memory",
            "sha256": checkpoint.sha256,
            "layout": plan.layout,
            "notes": list(plan.notes),
            "num_tensors": assignment.num_source_tensors,
            "dropped": {**checkpoint.dropped, **assignment.dropped},
        },
        "facts": plan.facts.without(["class_names"]).to_record(),
        "parity": proof.parity.to_dict() if proof.parity else None,
        **({"not_compared": proof.not_compared} if proof.not_compared else {}),
        "converted": datetime.date.today().isoformat(),
        "versions": {name: importlib.metadata.version(name) for name in ("kerasvit", "keras")},
    }
