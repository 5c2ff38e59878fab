import { Skeleton, Text } from "@mantine/core";
import { lazy, Suspense } from "react";

const Code = lazy(() => import("./code"));

interface JsonEditorProps {
  label: string;
  value: string;
  onChange: (text: string) => void;
  /** What is wrong, and on which line. */
  fault?: { message: string; line: number | null } | null;
  readOnly?: boolean;
}

/** A JSON text to be edited; what is wrong is said below it, and its line marked. */
export function JsonEditor({ label, value, onChange, fault, readOnly = false }: JsonEditorProps) {
  return (
    <div>
      <Text fw={500} size="sm" mb={4}>
        {label}
      </Text>
      <Suspense fallback={<Skeleton height={240} />}>
        <Code label={label} value={value} onChange={onChange} line={fault?.line ?? null} readOnly={readOnly} />
      </Suspense>
      {fault && (
        <Text size="sm" c="var(--bad)" role="alert" mt={4}>
          {fault.message}
        </Text>
      )}
    </div>
  );
}
