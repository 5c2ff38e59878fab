import { Box, Group, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

/** A part of a settings page: what it is, a line about it, its action, its content. */
export function Section({
  title,
  about,
  action,
  children,
}: {
  title: string;
  about?: ReactNode;
  action?: ReactNode;
  children: ReactNode;
}) {
  return (
    <Box component="section" mb={40} maw={960}>
      <Group justify="space-between" align="flex-start" mb="md" gap="sm">
        <Box maw={640}>
          <Title order={2}>{title}</Title>
          {about && (
            <Text c="dimmed" component="div">
              {about}
            </Text>
          )}
        </Box>
        {action}
      </Group>
      {children}
    </Box>
  );
}
