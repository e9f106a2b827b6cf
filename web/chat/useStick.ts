/** A scroller that follows its end while the reader is there, and leaves a reader elsewhere alone. */

import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** A reader who comes back so near to the end is there again, pixels. */
const NEAR = 48;

export interface Stick {
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly content: RefObject<HTMLDivElement | null>;
  /** The reader is at the end. */
  readonly atEnd: boolean;
  readonly toEnd: () => void;
}

export function useStick(): Stick {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const before = useRef(0);
  const [atEnd, setAtEnd] = useState(true);

  const follow = useCallback(() => {
    const element = scroller.current;
    if (!element || !stuck.current) return;
    element.scrollTop = element.scrollHeight;
    before.current = element.scrollTop;
  }, []);

  const stick = useCallback((is: boolean) => {
    stuck.current = is;
    setAtEnd(is);
    // The browser's own anchor holds what is read still; at the end it would pull away from it.
    if (scroller.current) scroller.current.style.overflowAnchor = is ? "none" : "";
  }, []);

  const toEnd = useCallback(() => {
    stick(true);
    follow();
  }, [stick, follow]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    stick(true);
    const scrolled = () => {
      const left = element.scrollHeight - element.clientHeight - element.scrollTop;
      const moved = element.scrollTop - before.current;
      before.current = element.scrollTop;
      // Only the reader scrolls up, but for text that shrinks, which leaves no way to its end.
      if (moved < 0 && left > 1) stick(false);
      else if (moved > 0 && left <= NEAR) stick(true);
    };
    const pressed = (event: KeyboardEvent) => {
      // The browser would go to where the end was when the key was pressed.
      if (event.key !== "End" || event.target !== element) return;
      event.preventDefault();
      toEnd();
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    element.addEventListener("keydown", pressed);
    return () => {
      element.removeEventListener("scroll", scrolled);
      element.removeEventListener("keydown", pressed);
    };
  }, [stick, toEnd]);

  useLayoutEffect(() => {
    if (!content.current || !scroller.current) return;
    const grown = new ResizeObserver(follow);
    grown.observe(content.current);
    grown.observe(scroller.current);
    return () => grown.disconnect();
  }, [follow]);

  return { scroller, content, atEnd, toEnd };
}
