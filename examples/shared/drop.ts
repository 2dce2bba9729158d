/** A file and its path in what was picked or dropped, `/`-separated. */
export interface GivenFile {
  readonly path: string;
  readonly file: File;
}

/** Lets files and folders be dropped anywhere on the page; `zone` shows when they can be. */
export function acceptDrops(zone: HTMLElement, onFiles: (files: readonly GivenFile[]) => void): void {
  let depth = 0;
  const show = (): void => {
    zone.classList.toggle("dropping", depth > 0);
  };
  document.addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth++;
    show();
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    show();
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    show();
    if (event.dataTransfer !== null) void droppedFiles(event.dataTransfer).then(onFiles);
  });
}

/** The files of an input, with their paths where a folder was picked. */
export const pickedFiles = (input: HTMLInputElement): readonly GivenFile[] =>
  [...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

async function droppedFiles({ items, files }: DataTransfer): Promise<readonly GivenFile[]> {
  // Entries must all be asked for before the first wait: the transfer is emptied then.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  if (entries.length === 0) return [...files].map((file) => ({ path: file.name, file }));
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<readonly GivenFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  // A reader gives its entries in batches, and an empty one at the end.
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (batch.length === 0) break;
    found.push(...batch);
  }
  return (await Promise.all(found.map(filesOf))).flat();
}
