import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Navigate, useNavigate } from "react-router";
import { call } from "../../api/client";
import { useBecome, useMe } from "../../api/me";
import { ErrorNote, Loading } from "../../components/states";
import { Door } from "./door";

/** The first account of a server; it owns all of it. */
export function Component() {
  const me = useMe();
  const [given, setGiven] = useState({ name: "", email: "", password: "" });
  const become = useBecome();
  const go = useNavigate();
  const begin = useMutation({
    mutationFn: () => call("/api/v1/setup", { method: "POST", body: given }),
    onSuccess: async () => {
      await become();
      go("/projects", { replace: true });
    },
  });
  if (me.isPending) return <Loading />;
  if (me.isError) return <ErrorNote error={me.error} onRetry={() => void me.refetch()} page />;
  if (!me.data.first_run && !begin.isSuccess) return <Navigate to="/" replace />;
  const field = (name: keyof typeof given) => ({
    value: given[name],
    required: true,
    onChange: (event: { currentTarget: { value: string } }) => {
      const { value } = event.currentTarget;
      setGiven((before) => ({ ...before, [name]: value }));
    },
  });
  return (
    <Door
      title="Welcome to Almanac"
      about="Make the first account. It owns this server: it makes projects and invites others."
      onSubmit={() => begin.mutate()}
    >
      <TextInput label="Name" autoComplete="name" {...field("name")} />
      <TextInput label="Email" type="email" autoComplete="username" {...field("email")} />
      <PasswordInput
        label="Password"
        description="At least 10 characters."
        autoComplete="new-password"
        minLength={10}
        {...field("password")}
      />
      {begin.isError && <ErrorNote error={begin.error} />}
      <Button type="submit" loading={begin.isPending}>
        Make the account
      </Button>
    </Door>
  );
}
