import { Modal, ScrollArea, Text, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import { useAnswer } from "../../api/ask";
import type { Answer, Condition, Question } from "../../api/types";
import { RankedList } from "./ranked";
import type { Ranked } from "./rows";

interface AllRowsProps {
  title: string;
  project: string;
  question: Question | null;
  read: (answer: Answer) => Ranked[];
  heads: [string, string] | [string, string, string];
  of: number | undefined;
  onPick: (filter: Condition) => void;
  onClose: () => void;
}

/** A list in full, up to 500 rows, to be searched. */
export function AllRows({ title, project, question, read, heads, of, onPick, onClose }: AllRowsProps) {
  const [search, setSearch] = useState("");
  const answer = useAnswer(project, question, { keep: false });
  const wanted = search.trim().toLowerCase();
  const rows = answer.data && read(answer.data).filter(({ label }) => label.toLowerCase().includes(wanted));
  return (
    <Modal opened onClose={onClose} title={title} size="lg" scrollAreaComponent={ScrollArea.Autosize}>
      <TextInput
        aria-label="Search in the list"
        placeholder="Search"
        leftSection={<IconSearch size={16} aria-hidden />}
        value={search}
        onChange={(event) => setSearch(event.currentTarget.value)}
        mb="md"
        data-autofocus
      />
      <RankedList
        rows={rows}
        heads={heads}
        of={of}
        error={answer.error}
        empty={wanted ? `Nothing here holds “${search.trim()}”.` : "Nothing in this range."}
        lines={500}
        onPick={(filter) => {
          onPick(filter);
          onClose();
        }}
      />
      {rows?.length === 500 && (
        <Text c="dimmed" size="sm" mt="sm">
          These are the 500 biggest; ask in Explore for more.
        </Text>
      )}
    </Modal>
  );
}
