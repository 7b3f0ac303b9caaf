"""The reader of CDK's classes: a slice that was read wrongly would let wrong terraform pass."""

from __future__ import annotations

from tests.terraform.schemas.extract import Reader

SCRIPT = """
function thingRuleToHclTerraform(struct) {
    const attrs = {
        days: {
            value: cdktf.listMapperHcl(cdktf.numberToHclTerraform, false)(struct.days),
            isBlock: false,
            type: "set",
            storageClassType: "numberList",
        },
    };
}
function thingTimeoutsToHclTerraform(struct) {
    const attrs = {
    };
}
class ThingRuleOutputReference extends cdktf.ComplexObject {
    // state - computed: true, optional: false, required: false
    get state() {
        return this.getStringAttribute('state');
    }
}
class ThingFoundOutputReference extends cdktf.ComplexObject {
    // port - computed: true, optional: false, required: false
    get port() {
        return this.getNumberAttribute('port');
    }
}
class Thing extends cdktf.TerraformResource {
    constructor(scope, id, config) {
        // found - computed: true, optional: false, required: false
        this._found = new ThingFoundList(this, "found", true);
        // all_tags - computed: true, optional: false, required: false
        this._allTags = new cdktf.StringMap(this, "all_tags");
    }
    synthesizeHclAttributes() {
        const attrs = {
            big_name: {
                value: cdktf.stringToHclTerraform(this._bigName),
                isBlock: false,
                type: "simple",
                storageClassType: "string",
            },
            id: {
                value: cdktf.stringToHclTerraform(this._id),
                isBlock: false,
                type: "simple",
                storageClassType: "string",
            },
            tags: {
                value: cdktf.hashMapperHcl(cdktf.stringToHclTerraform)(this._tags),
                isBlock: false,
                type: "map",
                storageClassType: "stringMap",
            },
            rule: {
                value: thingRuleToHclTerraform(this._rule.internalValue),
                isBlock: true,
                type: "list",
                storageClassType: "ThingRuleList",
            },
            rules: {
                value: cdktf.listMapperHcl(thingRuleToHclTerraform, true)(this._rules),
                isBlock: true,
                type: "set",
                storageClassType: "ThingRuleList",
            },
            timeouts: {
                value: thingTimeoutsToHclTerraform(this._timeouts.internalValue),
                isBlock: true,
                type: "struct",
                storageClassType: "ThingTimeouts",
            },
        };
    }
}
"""
DECLARATIONS = """
export interface ThingConfig extends cdktf.TerraformMetaArguments {
    readonly bigName: string;
    readonly id?: string;
    readonly tags?: {
        [key: string]: string;
    };
    readonly rule: ThingRule;
    readonly rules?: ThingRule[] | cdktf.IResolvable;
    readonly timeouts?: ThingTimeouts;
}
export interface ThingRule {
    readonly days: number[];
}
export interface ThingTimeouts {
}
"""


def test_a_resource_is_read_as_its_provider_would_say_it() -> None:
    """Names and types, what is required, what the provider fills in, how many of a block."""
    whole = Reader(SCRIPT, DECLARATIONS).whole()
    assert whole["attributes"] == {
        "big_name": {"type": "string", "required": True},
        "id": {"type": "string", "optional": True, "computed": True},
        "tags": {"type": ["map", "string"], "optional": True},
        "found": {"type": ["set", ["object", {"port": "number"}]], "computed": True},
        "all_tags": {"type": ["map", "string"], "computed": True},
    }
    rule = {
        "attributes": {
            "days": {"type": ["set", "number"], "required": True},
            "state": {"type": "string", "computed": True},
        },
        "block_types": {},
    }
    assert whole["block_types"] == {
        "rule": {"nesting_mode": "list", "block": rule, "min_items": 1, "max_items": 1},
        "rules": {"nesting_mode": "set", "block": rule},
        "timeouts": {"nesting_mode": "single", "block": {"attributes": {}, "block_types": {}}},
    }
