import { Button, PasswordInput, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate, useParams } from "react-router";
import { call } from "../../api/client";
import { useBecome, useMe } from "../../api/me";
import { ErrorNote, Loading } from "../../components/states";
import { Door } from "./door";

interface Invitation {
  project: string;
  email: string;
  role: string;
}

/** What an invitation's link opens: a new account, or the way into the project for one that is signed in. */
export function Component() {
  const { token = "" } = useParams();
  const path = `/api/v1/invitations/${encodeURIComponent(token)}`;
  const me = useMe();
  const invitation = useQuery({ queryKey: ["invitation", token], queryFn: () => call<Invitation>(path), retry: false });
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const become = useBecome();
  const go = useNavigate();
  const signedIn = Boolean(me.data?.user);
  const join = useMutation({
    mutationFn: () => call(path, { method: "POST", body: signedIn ? {} : { name, password } }),
    onSuccess: async () => {
      await become();
      go("/", { replace: true });
    },
  });
  if (invitation.isPending || me.isPending) return <Loading />;
  if (invitation.isError) return <ErrorNote error={invitation.error} page />;
  const { project, email, role } = invitation.data;
  return (
    <Door title={`Join ${project}`} about={`As ${role}.`} onSubmit={() => join.mutate()}>
      {signedIn ? (
        <Text>You are signed in as {me.data?.user?.email}.</Text>
      ) : (
        <>
          <TextInput label="Email" type="email" value={email} readOnly autoComplete="username" />
          <TextInput
            label="Name"
            autoComplete="name"
            required
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <PasswordInput
            label="Password"
            description="At least 10 characters."
            autoComplete="new-password"
            minLength={10}
            required
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
          />
        </>
      )}
      {join.isError && <ErrorNote error={join.error} />}
      <Button type="submit" loading={join.isPending}>
        Join
      </Button>
    </Door>
  );
}
