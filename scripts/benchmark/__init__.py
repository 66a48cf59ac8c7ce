"""Measures pixfs against decoders and archive readers that are in use today. scripts/bench runs it.

How it is kept fair:
- Both sides run in this one process, in turns (A B C A B C ...), after one repetition that isn't counted; imports, mounting and
  the making of inputs are outside of the times. With first reads of single images who comes first changes (A B C, B C A, ...): what
  one has just freed is cheap memory for the next. A time is from before the file is opened to a numpy array in hand.
- Sources lie in the page cache. Medians of all repetitions, the smallest and the largest beside them.
- A first read of a single image reads, in each repetition, another copy of the file (a real one, another inode) that the
  running mount has never seen: nothing of it is in pixfs or in the kernel's pages of the mount, but the daemon is warm as the
  peers' process is. Archives and files too large to copy get a new mount for each repetition and a first read of another
  small file in it, for the same reason. Archives of photographs and of stacks are mounted with -o ro, as nothing is written.
- Peers give the same array: float32 in 0..1, RGB order, (H, W, C). Each result is compared once with pixfs' and a difference
  is told. Peers have their own default number of threads.
- ratio = median of pixfs / median of the fastest peer: below 1 pixfs is faster.
"""
