import { Box, Center, Paper, Stack, Text, Title } from "@mantine/core";
import type { FormEvent, ReactNode } from "react";

/** A small page outside of any project: the sign, a title, a form. */
export function Door({
  title,
  about,
  children,
  onSubmit,
}: {
  title: string;
  about?: ReactNode;
  children: ReactNode;
  onSubmit?: () => void;
}) {
  function submit(event: FormEvent) {
    event.preventDefault();
    onSubmit?.();
  }
  return (
    <Center mih="100vh" p="md" component="main">
      <Stack w="100%" maw={400} gap="md">
        <Box>
          <img src={`${import.meta.env.BASE_URL}icon.svg`} alt="Almanac" width={32} height={32} />
        </Box>
        <div>
          <Title order={1}>{title}</Title>
          {about && <Text c="dimmed">{about}</Text>}
        </div>
        <Paper p="lg" component="form" onSubmit={submit} bg="var(--surface)">
          <Stack gap="md">{children}</Stack>
        </Paper>
      </Stack>
    </Center>
  );
}
