import { Box, Text, useApp, useInput } from "ink";
import { createElement, type ReactElement, useEffect, useState } from "react";
import type { Dashboard } from "../../../../contract/dashboard.ts";
import { GAP, type Layout, layOut } from "../../../render/dashboard/layout.ts";
import { FIRST_STATE, type Order, press } from "../../../render/dashboard/screen-state.ts";
import type { Output } from "../../../render/output.ts";

const REFRESH_MS = 2_000;

interface Props {
  readonly output: Output;
  readonly filter: string;
  readonly first: Dashboard;
  readonly read: (filter: string) => Promise<Dashboard>;
  readonly order: (order: Order) => Promise<string>;
  readonly inWords: (error: unknown) => string;
}

interface View {
  readonly dashboard: Dashboard;
  readonly problem: string | null;
}

/** The live screen. Every text on it passes through the Output, which lets no text of others command the terminal. */
export function DashboardScreen({ output, filter, first, read, order, inWords }: Props): ReactElement {
  const { exit } = useApp();
  const [view, setView] = useState<View>({ dashboard: first, problem: null });
  const [state, setState] = useState({ ...FIRST_STATE, filter });
  const size = useSize(output);
  useEffect(() => {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const look = async () => {
      const next = await read(state.filter).then(
        (dashboard) => () => ({ dashboard, problem: null }),
        (error: unknown) => (last: View) => ({ ...last, problem: inWords(error) }),
      );
      if (!isOver) {
        setView(next);
        timer = setTimeout(() => void look(), REFRESH_MS);
      }
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [state.filter, read, inWords]);
  useInput((input, key) => {
    const { state: next, effect } = press(state, view.dashboard, input, key);
    setState(next);
    if (effect !== null && "quit" in effect) {
      exit();
    } else if (effect !== null) {
      void order(effect.order)
        .catch(inWords)
        .then((said) => setState((last) => ({ ...last, said })));
    }
  });
  return draw(layOut(view.dashboard, state, size, view.problem, output.style), size.columns, output.painted);
}

function useSize(output: Output): ReturnType<Output["size"]> {
  const [size, setSize] = useState(output.size());
  useEffect(() => output.onResize(() => setSize(output.size())), [output]);
  return size;
}

function draw(layout: Layout, columns: number, painted: Output["painted"]): ReactElement {
  const lines = (part: readonly string[]) =>
    part.map((line, index) => createElement(Text, { key: index, wrap: "truncate" }, painted(line)));
  const column = (part: readonly string[], more: object = {}) =>
    createElement(Box, { flexDirection: "column", ...more }, ...lines(part));
  return createElement(
    Box,
    { flexDirection: "column", width: columns },
    column(layout.head),
    createElement(Box, { columnGap: GAP }, column(layout.phases), column(layout.hour)),
    column(layout.alerts),
    column(layout.decisions),
    column(layout.fleet, { flexGrow: 1 }),
    column([layout.foot]),
  );
}
