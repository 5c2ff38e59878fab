import { attempt } from "./attempt";
import type { Waiting } from "./delivery";

/** Events that wait, kept over pages and restarts of the browser. Without IndexedDB it keeps nothing and says nothing. */
export interface Shelf {
  /** Keeps them; of all that are there, the oldest beyond `most` go. */
  put(items: Waiting[], most: number): void;
  remove(ids: string[]): void;
  /** The oldest, at most `count`. */
  oldest(count: number): Promise<Waiting[]>;
  clear(): void;
}

export function shelfOf(name: string): Shelf {
  let opened: Promise<IDBDatabase> | undefined;
  const open = () => {
    opened ??= new Promise((done, fail) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore("events", { keyPath: "id" });
      request.onerror = fail;
      request.onsuccess = () => {
        const database = request.result;
        database.onversionchange = database.onclose = () => {
          database.close();
          opened = undefined;
        };
        done(database);
      };
    });
    return opened;
  };
  const within = async <T>(work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> => {
    try {
      const transaction = (await open()).transaction("events", "readwrite");
      const request = work(transaction.objectStore("events"));
      return await new Promise((done, fail) => {
        transaction.oncomplete = () => done(request.result);
        transaction.onabort = fail;
      });
    } catch {
      return undefined; // no room, no right, or no such thing here: memory has them still
    }
  };
  return {
    put(items, most) {
      within((store) => {
        for (const { id, text, purpose } of items) store.put({ id, text, purpose });
        const count = store.count();
        count.onsuccess = () => {
          if (count.result <= most) return;
          const old = store.getAllKeys(null, count.result - most);
          old.onsuccess = () => {
            for (const id of old.result) store.delete(id);
          };
        };
        return count;
      });
    },
    remove(ids) {
      const [first, ...others] = ids;
      if (first)
        within((store) => {
          for (const id of others) store.delete(id);
          return store.delete(first);
        });
    },
    oldest: async (count) => (await within((store) => store.getAll(null, count))) ?? [],
    clear() {
      attempt(() => indexedDB.deleteDatabase(name)); // an empty one would be something stored too
    },
  };
}
