import { ActionIcon, Button, Menu } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconDots, IconHistory, IconLayoutDashboard, IconLink, IconPlus, IconReceipt } from "@tabler/icons-react";
import { useState } from "react";
import type { Kind, Question } from "../../api/types";
import type { ChartChoice } from "../../charts";
import { AddToBoard } from "./add-to-board";
import { ExplainDrawer } from "./explain";
import { History } from "./history";
import { SaveQuestion } from "./save";

interface Props {
  project: string;
  zone: string;
  kind: Kind;
  title: string;
  /** As the form has it. */
  question: Question;
  /** As it was asked; null before that. */
  asked: Question | null;
  saved: string;
  /** Whether it is the saved question, word for word. */
  unchanged: boolean;
  version: number;
  /** What the saved question says of itself. */
  description: string;
  chart: ChartChoice;
  maySave: boolean;
  /** Whether it could be asked as it is. */
  whole: boolean;
  onOpen: (question: Question | null, saved?: string) => void;
  onSaved: (name: string, question: Question) => void;
}

/** What can be done with the question: save, send, put on a board, look at its cost and history. */
export function Actions(props: Props) {
  const { project, zone, question, saved, unchanged, version, chart, maySave, whole, onOpen, onSaved } = props;
  const [open, setOpen] = useState<"" | "save" | "board" | "history" | "explain">("");
  const close = () => setOpen("");
  return (
    <>
      <Button variant="default" leftSection={<IconLink size={16} aria-hidden />} onClick={() => void copyLink()}>
        Share
      </Button>
      {maySave && (
        <Button onClick={() => setOpen("save")} disabled={!whole}>
          Save question
        </Button>
      )}
      <Menu position="bottom-end" width={220}>
        <Menu.Target>
          <ActionIcon variant="default" size="lg" aria-label="More">
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconPlus size={16} />} onClick={() => onOpen(null)}>
            New question
          </Menu.Item>
          {maySave && (
            <Menu.Item
              leftSection={<IconLayoutDashboard size={16} />}
              onClick={() => setOpen("board")}
              disabled={!whole}
            >
              Add to a board
            </Menu.Item>
          )}
          <Menu.Item leftSection={<IconReceipt size={16} />} onClick={() => setOpen("explain")} disabled={!whole}>
            What it costs
          </Menu.Item>
          <Menu.Item leftSection={<IconHistory size={16} />} onClick={() => setOpen("history")} disabled={!saved}>
            History
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <SaveQuestion
        project={project}
        question={question}
        from={saved}
        version={version}
        description={props.description}
        opened={open === "save"}
        onClose={close}
        onSaved={onSaved}
      />
      <AddToBoard
        project={project}
        question={question}
        saved={unchanged ? saved : ""}
        title={saved || props.title}
        chart={chart}
        opened={open === "board"}
        onClose={close}
      />
      <History
        project={project}
        name={saved}
        zone={zone}
        maySave={maySave}
        opened={open === "history"}
        onClose={close}
        onOpen={(version) => {
          close();
          onOpen(version, saved);
        }}
        onRestored={(version) => onOpen(version, saved)}
      />
      <ExplainDrawer project={project} question={question} opened={open === "explain"} onClose={close} />
    </>
  );
}

async function copyLink(): Promise<void> {
  try {
    await navigator.clipboard.writeText(window.location.href);
    notifications.show({
      message: "The link is copied. It holds the whole question; whoever opens it needs an account here.",
    });
  } catch {
    notifications.show({ message: "The browser keeps its clipboard closed. Copy the address of this page instead." });
  }
}
