"""Gets an item, for as long as it takes, and prints it."""

import hub

print('ok: got %r' % (hub.connect().get_task_queue().get(),))
