import { expect, test } from "vitest";
import { ApiError } from "../../api/errors";
import { bodyOf, faultIn, placeIn } from "./draft";

test("the place of an error within the body", () => {
  expect(placeIn("plans.order.schema.properties.total.type", "order")).toBe("schema.properties.total.type");
  expect(placeIn("metrics.revenue.net.measure", "revenue.net")).toBe("measure");
  expect(placeIn("metrics.revenue", "revenue")).toBe("");
  expect(placeIn("", "revenue")).toBe("");
});

test("errors name their line, conflicts are no fault of the text", () => {
  const draft = { name: "revenue", text: '{\n  "event": "order",\n  "measure": "summ"\n}', version: 1 };
  const refused = new ApiError(400, {
    error: {
      code: "invalid",
      message: "There is no measure summ.",
      place: "metrics.revenue.measure",
      way_out: "Write sum.",
    },
  });
  expect(faultIn(refused, draft)).toEqual({
    message: "There is no measure summ. Write sum.",
    place: "measure",
    line: 3,
  });
  expect(
    faultIn(new ApiError(409, { error: { code: "conflict", message: "Somebody else saved." } }), draft),
  ).toBeNull();
});

test("a body is one object", () => {
  expect(bodyOf('{"a": 1}')).toEqual({ a: 1 });
  expect(bodyOf("[1]")).toBeNull();
  expect(bodyOf("{")).toBeNull();
});
