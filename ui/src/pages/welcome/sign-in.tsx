import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { call } from "../../api/client";
import { useBecome } from "../../api/me";
import { ErrorNote } from "../../components/states";
import { Door } from "./door";

export function Component() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [search] = useSearchParams();
  const go = useNavigate();
  const become = useBecome();
  const enter = useMutation({
    mutationFn: () => call("/api/v1/session", { method: "POST", body: { email, password } }),
    onSuccess: async () => {
      await become();
      const back = search.get("back") ?? "";
      go(back.startsWith("/") && !back.startsWith("//") ? back : "/", { replace: true });
    },
  });
  return (
    <Door title="Sign in to Almanac" onSubmit={() => enter.mutate()}>
      <TextInput
        label="Email"
        type="email"
        autoComplete="username"
        required
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
        data-autofocus
      />
      <PasswordInput
        label="Password"
        autoComplete="current-password"
        required
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      {enter.isError && <ErrorNote error={enter.error} />}
      <Button type="submit" loading={enter.isPending}>
        Sign in
      </Button>
    </Door>
  );
}
