/** An answer's receipt: a line that opens the whole. */

import { Button, Code, CopyButton, Group, Modal, Stack, Table, Text, Title, UnstyledButton } from "@mantine/core";
import { useDisclosure, useInterval } from "@mantine/hooks";
import { useState } from "react";
import type { Answer } from "../api/types";
import { duration, moment, whole } from "../format";
import classes from "./chart.module.css";
import { ageOf, receiptLine } from "./receipt-words";

export interface ReceiptProps {
  answer: Answer;
  /** When the answer came, in ms. */
  cameAt: number;
  live?: boolean;
}

const TICK = 5000;

export function ReceiptLine({ answer, cameAt, live = false }: ReceiptProps) {
  const [opened, { open, close }] = useDisclosure(false);
  const [now, setNow] = useState(Date.now());
  useInterval(() => setNow(Date.now()), TICK, { autoInvoke: true });
  const line = live
    ? `${receiptLine(answer.receipt)} · live`
    : receiptLine(answer.receipt, ageOf(answer.receipt, cameAt, Math.max(now, cameAt)));
  return (
    <>
      <UnstyledButton
        className={classes.receipt ?? ""}
        onClick={open}
        aria-haspopup="dialog"
        title="What the numbers rest on"
      >
        {line}
      </UnstyledButton>
      <Modal opened={opened} onClose={close} title="Receipt" size="xl">
        <WholeReceipt receipt={answer.receipt} rows={answer.rows.length} />
      </Modal>
    </>
  );
}

function WholeReceipt({ receipt, rows }: { receipt: Record<string, unknown>; rows: number }) {
  const zone = String(receipt.timezone ?? "UTC");
  const window = receipt.window as { from: string; to: string } | null | undefined;
  const definitions = (receipt.definitions ?? []) as { kind: string; name: string; version: number }[];
  const notes = (receipt.notes ?? []) as string[];
  const sql = typeof receipt.sql === "string" ? receipt.sql : "";
  const lines: [string, string][] = [
    ["Range", window ? `${moment(window.from, zone)} to ${moment(window.to, zone)}` : "as the statement says"],
    ["Zone", `${zone}; weeks begin on ${String(receipt.week_start ?? "monday")}`],
    [
      "Holds events received until",
      receipt.watermark ? moment(String(receipt.watermark), zone, { second: "2-digit" }) : "–",
    ],
    ["Result", receipt.exact === false ? `approximate: ${String(receipt.approximation ?? "")}` : "exact"],
    ["Rows", `${whole(rows)} shown, ${whole(receipt.rows_read as number | null)} read (${bytes(receipt.bytes_read)})`],
    ["Took", typeof receipt.seconds === "number" ? duration(receipt.seconds) : "–"],
    ["Asked", receipt.asked_at ? moment(String(receipt.asked_at), zone, { second: "2-digit" }) : "–"],
    ["Who is who", receipt.as_of ? `as known at ${moment(String(receipt.as_of), zone)}` : "as known now"],
    [
      "Definitions",
      definitions.length
        ? definitions.map((one) => `${one.kind} ${one.name}, version ${one.version}`).join("; ")
        : "none by name",
    ],
    ["Fingerprint of the question", String(receipt.definition_hash ?? "–")],
    ["Almanac", String(receipt.almanac_version ?? "–")],
  ];
  return (
    <Stack gap="md">
      {notes.length > 0 && (
        <Stack gap={4}>
          {notes.map((note) => (
            <Text key={note}>{note}</Text>
          ))}
        </Stack>
      )}
      <Table layout="auto" verticalSpacing={4} horizontalSpacing={0} withRowBorders={false}>
        <Table.Tbody>
          {lines.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th fw={400} c="dimmed" w={200} style={{ verticalAlign: "top" }}>
                {name}
              </Table.Th>
              <Table.Td style={{ overflowWrap: "anywhere" }}>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {sql && (
        <Stack gap="xs">
          <Group justify="space-between">
            <Title order={3}>SQL</Title>
            <CopyButton value={sql}>
              {({ copied, copy }) => (
                <Button size="xs" variant="default" onClick={copy}>
                  {copied ? "Copied" : "Copy"}
                </Button>
              )}
            </CopyButton>
          </Group>
          <Code block className={classes.code ?? ""} tabIndex={0}>
            {sql}
          </Code>
        </Stack>
      )}
    </Stack>
  );
}

function bytes(value: unknown): string {
  if (typeof value !== "number") return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  let rest = value;
  while (rest >= 1000 && step < units.length - 1) {
    rest /= 1000;
    step += 1;
  }
  return `${Number(rest.toPrecision(3))} ${units[step]}`;
}
