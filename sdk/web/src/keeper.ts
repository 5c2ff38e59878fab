import { attempt } from "./attempt";
import type { Book } from "./consent";
import type { Session } from "./session";
import type { Properties } from "./types";

/** What is kept from page to page. */
export interface State {
  anonymous: string;
  user?: string;
  groups?: Record<string, string>;
  common?: Properties;
  session?: Session;
  consent?: Book;
  /** The server asked to be left alone until then. */
  until?: number;
}

/** Where it is kept: the storage of this host, or a cookie of a domain. */
export interface Keeper {
  read(): State | undefined;
  write(state: State): void;
  clear(): void;
}

/** A keeper of a browser that keeps nothing reads nothing. */
export function keeperOf(name: string, domain?: string): Keeper {
  const set = (value: string, seconds: number) => {
    // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store answers later, and an event needs its ids now
    document.cookie = `${name}=${value}; domain=${domain}; path=/; max-age=${seconds}; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  };
  return {
    read: () =>
      attempt(() => {
        const text = domain
          ? decodeURIComponent(
              document.cookie
                .split("; ")
                .find((one) => one.startsWith(`${name}=`))
                ?.slice(name.length + 1) ?? "",
            )
          : localStorage.getItem(name);
        const state = JSON.parse(text || "null");
        return state?.anonymous ? state : undefined;
      }),
    write(state) {
      attempt(() => {
        const text = JSON.stringify(state);
        if (domain) set(encodeURIComponent(text), 34e6);
        else localStorage.setItem(name, text);
      });
    },
    clear() {
      attempt(() => {
        if (domain) set("", 0);
        else localStorage.removeItem(name);
      });
    },
  };
}
