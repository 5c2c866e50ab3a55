// The steps that a request took part in, where the folder has the schedule.

/** How many steps of a request are listed at a time. */
const STEPS_SHOWN = 12;

/** The steps of one request of a run, in order of time; `null` where the page does not know them. */
function stepsOf(run, id) {
  const isOf = (other) => other.system === run.system && other.seed === run.seed;
  const told = D.participation.runs.find(isOf);
  if (!told) return null;
  const c = columnsOf(told);
  const timed = D.steps.runs.find(isOf);
  const out = [];
  for (let at = lowerBound(c.request, id); at < c.request.length && c.request[at] === id; at++) {
    const common = { replica: c.replica[at], slot: c.slot[at], decodes: c.decodes[at] === 1 };
    const lane = timed && lanesOf(timed).find((lane) => lane.replica === common.replica && lane.slot === common.slot);
    const end = c.first[at] + c.count[at];
    if (lane && end <= lane.start.length) {
      for (let k = c.first[at]; k < end; k++) {
        out.push({ ...common, first: k, last: k, tokens: c.tokens[at], context: c.context[at] + k - c.first[at], start: lane.start[k], end: lane.end[k], known: true });
      }
    } else {
      out.push({ ...common, first: c.first[at], last: end - 1, tokens: c.tokens[at] * c.count[at], context: c.context[at], start: c.start_s[at], end: c.end_s[at], known: false });
    }
  }
  return { until: told.until_s, steps: out };
}

/** The list of them; `picked` gets the one that is clicked, where the timeline has it. */
function takingPart(run, id, until, picked) {
  const found = stepsOf(run, id);
  if (found === null) return el("p", { class: "note" }, D.participation.note || "The schedule has no such run.");
  const { steps } = found;
  const decodes = steps.filter((step) => step.decodes).reduce((sum, step) => sum + step.last - step.first + 1, 0);
  const chunks = steps.filter((step) => !step.decodes);
  const tokens = chunks.reduce((sum, step) => sum + step.tokens, 0);
  const several = new Set(steps.map((step) => `${step.replica}/${step.slot}`)).size > 1;
  const place = (step) => (D.steps.runs.length > 0 && steps.some((other) => other.slot !== step.slot && other.replica === step.replica) ? `${step.replica}, slot ${step.slot}` : `${step.replica}`);
  return el(
    "div",
    { id: "taking-part" },
    el("p", {}, `Took part in ${count(chunks.length + decodes)} steps: ${count(tokens)} prompt tokens in ${count(chunks.length)} of them, one token of the answer in each of ${count(decodes)}.${found.until < until ? " Later ones are not in this page." : ""}`),
    table({
      caption: `Steps of request ${id}`,
      rows: steps.length,
      page: STEPS_SHOWN,
      picked: (row) => steps[row].known && picked(steps[row]),
      columns: [
        { title: "Step", hint: "Number among the steps of its replica, as in the timeline", value: (row) => steps[row].first + 1, show: (row) => (steps[row].last > steps[row].first ? `${count(steps[row].first + 1)} – ${count(steps[row].last + 1)}` : count(steps[row].first + 1)) },
        { title: "What", text: true, value: (row) => (steps[row].decodes ? "decode" : "prefill") },
        { title: "Tokens", value: (row) => steps[row].tokens },
        { title: "KV before", unit: "tok", hint: "Tokens whose keys and values were there before the step", value: (row) => steps[row].context },
        { title: "Start", unit: "s", value: (row) => steps[row].start, show: (row) => steps[row].start.toFixed(6) },
        { title: "Duration", value: (row) => steps[row].end - steps[row].start, show: (row) => time(steps[row].end - steps[row].start) },
        ...(several ? [{ title: "Replica", value: (row) => place(steps[row]) }] : []),
      ],
    }),
  );
}
