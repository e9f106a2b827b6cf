/** A scroller that follows its end while the reader is there, and leaves a reader elsewhere alone. */

import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** So near the end counts as being there, pixels. */
const NEAR = 32;

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

  const toEnd = useCallback(() => {
    stuck.current = true;
    setAtEnd(true);
    follow();
  }, [follow]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const scrolled = () => {
      const left = element.scrollHeight - element.clientHeight - element.scrollTop;
      // Only the reader scrolls up; text that grows moves the end away, but not the reader.
      if (left <= NEAR) stuck.current = true;
      else if (element.scrollTop < before.current - 1) stuck.current = false;
      before.current = element.scrollTop;
      setAtEnd(stuck.current);
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => element.removeEventListener("scroll", scrolled);
  }, []);

  useLayoutEffect(() => {
    if (!content.current || !scroller.current) return;
    const grown = new ResizeObserver(follow);
    grown.observe(content.current);
    grown.observe(scroller.current);
    return () => grown.disconnect();
  }, [follow]);

  return { scroller, content, atEnd, toEnd };
}
