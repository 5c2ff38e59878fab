/** Takes an answer out: as a picture, as a table, as code. */

import {
  ActionIcon,
  Button,
  Code,
  CopyButton,
  Group,
  Menu,
  Modal,
  SegmentedControl,
  Stack,
  Text,
  Tooltip,
  useComputedColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { IconCode, IconDownload, IconPhoto, IconTable } from "@tabler/icons-react";
import { useState } from "react";
import type { Answer, Question } from "../api/types";
import { type ChartChoice, describe } from "../charts";
import { useProject } from "../state/url";
import { asCode, CODE_FORMS, type CodeForm } from "./as-code";
import classes from "./chart.module.css";
import { fileName, isPicture, pngFile, saveFile, saveTable, svgFile, TABLE_FORMATS, type TableFormat } from "./files";
import { receiptLine } from "./receipt-words";

export function ExportMenu({
  project,
  question,
  answer,
  choice,
}: {
  project: string;
  question: Question;
  answer: Answer;
  choice: ChartChoice;
}) {
  const theme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const { zone } = useProject();
  const [code, { open, close }] = useDisclosure(false);
  const [busy, setBusy] = useState(false);
  const title = describe(answer, question);
  const picture = isPicture(answer, question, choice);

  async function run(work: () => Promise<void>) {
    setBusy(true);
    try {
      await work();
    } catch (error) {
      notifications.show({
        color: "red",
        title: "The file could not be made.",
        message: error instanceof Error ? error.message : String(error),
      });
    } finally {
      setBusy(false);
    }
  }
  const table = (format: TableFormat) => run(() => saveTable(project, question, format, title));
  const draw = (form: "png" | "svg") =>
    run(async () => {
      const svg = await svgFile(answer, question, choice, theme, zone, receiptLine(answer.receipt));
      saveFile(form === "svg" ? new Blob([svg], { type: "image/svg+xml" }) : await pngFile(svg), fileName(title, form));
    });
  return (
    <>
      <Menu position="bottom-end" width={200}>
        <Menu.Target>
          <Tooltip label="Export">
            <ActionIcon variant="subtle" color="gray" size={32} aria-label="Export" loading={busy}>
              <IconDownload size={18} />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Picture</Menu.Label>
          <Menu.Item leftSection={<IconPhoto size={16} />} disabled={!picture} onClick={() => void draw("png")}>
            PNG
          </Menu.Item>
          <Menu.Item leftSection={<IconPhoto size={16} />} disabled={!picture} onClick={() => void draw("svg")}>
            SVG
          </Menu.Item>
          <Menu.Label>Rows</Menu.Label>
          {TABLE_FORMATS.map(({ format, label }) => (
            <Menu.Item key={format} leftSection={<IconTable size={16} />} onClick={() => void table(format)}>
              {label}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<IconCode size={16} />} onClick={open}>
            As code
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <AsCode opened={code} onClose={close} project={project} question={question} />
    </>
  );
}

function AsCode({
  opened,
  onClose,
  project,
  question,
}: {
  opened: boolean;
  onClose: () => void;
  project: string;
  question: Question;
}) {
  const [form, setForm] = useState<CodeForm>("json");
  const text = asCode(question, form, project, window.location.origin);
  return (
    <Modal opened={opened} onClose={onClose} title="The question as code" size="lg">
      <Stack gap="sm">
        <Group justify="space-between">
          <SegmentedControl
            aria-label="Language"
            value={form}
            onChange={(value) => setForm(value as CodeForm)}
            data={CODE_FORMS.map((one) => ({ value: one.form, label: one.label }))}
          />
          <CopyButton value={text}>
            {({ copied, copy }) => <Button onClick={copy}>{copied ? "Copied" : "Copy"}</Button>}
          </CopyButton>
        </Group>
        <Code block className={classes.code ?? ""} tabIndex={0}>
          {text}
        </Code>
        {(form === "python" || form === "curl") && (
          <Text size="sm" c="dimmed">
            Put a read key in its place; keys are made under Settings.
          </Text>
        )}
      </Stack>
    </Modal>
  );
}
