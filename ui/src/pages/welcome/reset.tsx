import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate, useParams } from "react-router";
import { call } from "../../api/client";
import { ErrorNote } from "../../components/states";
import { Door } from "./door";

/** What a link for a new password opens. */
export function Component() {
  const { token = "" } = useParams();
  const [password, setPassword] = useState("");
  const go = useNavigate();
  const reset = useMutation({
    mutationFn: () => call(`/api/v1/reset/${encodeURIComponent(token)}`, { method: "POST", body: { password } }),
    onSuccess: () => go("/sign-in", { replace: true }),
  });
  return (
    <Door title="Choose a new password" onSubmit={() => reset.mutate()}>
      <PasswordInput
        label="Password"
        description="At least 10 characters."
        autoComplete="new-password"
        minLength={10}
        required
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      {reset.isError && <ErrorNote error={reset.error} />}
      <Button type="submit" loading={reset.isPending}>
        Save password
      </Button>
    </Door>
  );
}
