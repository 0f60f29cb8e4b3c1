/* Line: one HTTP/1.1 connection of a client.
 *
 * A plain answer (answer.c) is taken here, up to the last byte of its body; what is anything else is left to whoever
 * extends the type. Source: RFC 9112 §6.3.
 */

#include "speed.h"

#include <structmember.h>

#ifndef _WIN32
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#endif
/* Not everywhere: there the transport reads and sends. */
#if defined(MSG_DONTWAIT) && defined(MSG_NOSIGNAL)
#define HAS_SOCKETS 1
#else
#define HAS_SOCKETS 0
#endif

typedef enum {
    UNASKED, /* nothing is waited for */
    ASKED,   /* nothing has come yet */
    IN_BODY, /* of a plain answer */
    LEFT,    /* to the parser */
} Stage;

typedef struct {
    PyObject_HEAD
    PyObject *buffer;
    Py_buffer read;
    PyObject *outbox;   /* a list: the lines that have something to send */
    PyObject *told;     /* whom to tell that the answer is complete; NULL or None where nobody waits */
    PyObject *request;  /* the one that is under way, or was the last */
    PyObject *unsent;   /* the request's bytes, until they are sent */
    PyObject *fields;   /* of a plain answer, and so on */
    PyObject *body;
    long status;
    Py_ssize_t length;
    Py_ssize_t limit;
    Py_ssize_t filled;
    int descriptor; /* of the socket, or -1 where not every byte goes to it as it is */
    Stage stage;
    bool plain;
    bool coded;
    bool ready;
    bool reused;
    bool parsed;
} LineObject;

static int line_init(LineObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"buffer", "descriptor", "outbox", NULL};
    PyObject *buffer, *outbox;
    int descriptor;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OiO!:Line", names, &buffer, &descriptor, &PyList_Type, &outbox))
        return -1;
    if (self->buffer != NULL) {
        PyErr_SetString(PyExc_TypeError, "Line() has its buffer already");
        return -1;
    }
    if (PyObject_GetBuffer(buffer, &self->read, PyBUF_WRITABLE) < 0)
        return -1;
    self->buffer = Py_NewRef(buffer);
    self->outbox = Py_NewRef(outbox);
    self->descriptor = descriptor;
    self->ready = true;
    return 0;
}

static int line_traverse(LineObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->buffer);
    Py_VISIT(self->outbox);
    Py_VISIT(self->told);
    Py_VISIT(self->request);
    return 0;
}

static int line_clear(LineObject *self)
{
    Py_CLEAR(self->outbox);
    Py_CLEAR(self->told);
    Py_CLEAR(self->request);
    return 0;
}

static void line_dealloc(LineObject *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    line_clear(self);
    if (self->buffer != NULL)
        PyBuffer_Release(&self->read);
    Py_XDECREF(self->buffer);
    Py_XDECREF(self->unsent);
    Py_XDECREF(self->fields);
    Py_XDECREF(self->body);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static void keep(PyObject **place, PyObject *value)
{
    PyObject *former = *place;
    *place = Py_XNewRef(value);
    Py_XDECREF(former);
}

/* Appends to a list that wants to know when it is no longer empty. */
static bool put_into(PyObject *list, LineObject *self)
{
    if (PyList_Size(list) == 0) {
        PyObject *result = PyObject_CallMethod(list, "due", NULL);
        if (result == NULL)
            return false;
        Py_DECREF(result);
    }
    return PyList_Append(list, (PyObject *)self) == 0;
}

/* ask(head, request, limit_bytes, plain, told) */
static PyObject *line_ask(LineObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 5 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "ask() takes bytes, and four arguments more");
        return NULL;
    }
    Py_ssize_t limit = PyLong_AsSsize_t(args[2]);
    if (limit == -1 && PyErr_Occurred())
        return NULL;
    if (self->outbox == NULL) {
        PyErr_SetString(PyExc_ValueError, "the line has no outbox");
        return NULL;
    }
    keep(&self->unsent, args[0]);
    keep(&self->request, args[1]);
    keep(&self->told, args[4]);
    self->limit = limit;
    self->plain = self->parsed = self->ready = false;
    self->stage = args[3] == Py_True ? ASKED : LEFT;
    if (!put_into(self->outbox, self))
        return NULL;
    Py_RETURN_NONE;
}

static bool is_awaited(const LineObject *self)
{
    return self->told != NULL && self->told != Py_None;
}

/* What the socket doesn't take at once is the transport's, and so are errors: it knows what follows from them. */
static PyObject *line_send(LineObject *self, PyObject *nothing)
{
    (void)nothing;
    PyObject *data = self->unsent;
    self->unsent = NULL;
    if (data == NULL || !is_awaited(self)) {
        Py_XDECREF(data);
        Py_RETURN_NONE;
    }
    const char *bytes = PyBytes_AsString(data);
    Py_ssize_t size = PyBytes_Size(data), sent = 0;
#if HAS_SOCKETS
    if (self->descriptor >= 0) {
        sent = send(self->descriptor, bytes, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            sent = 0;
    }
#endif
    PyObject *result = sent == size ? Py_NewRef(Py_None)
                                    : PyObject_CallMethod((PyObject *)self, "write", "y#", bytes + sent, size - sent);
    Py_DECREF(data);
    return result;
}

static PyObject *line_get_buffer(LineObject *self, PyObject *size_hint)
{
    (void)size_hint;
    if (self->buffer == NULL) {
        PyErr_SetString(PyExc_ValueError, "the line has no buffer");
        return NULL;
    }
    return Py_NewRef(self->buffer);
}

/* Makes room for the answer's body. -1 with an exception; 0 where it is the parser's; the bytes of its head. */
static Py_ssize_t begin_plain(LineObject *self, Py_ssize_t size)
{
    PlainAnswer answer;
    if (!plain_answer(self->read.buf, (size_t)size, &answer) || answer.length > self->limit)
        return 0;
    PyObject *fields = PyBytes_FromStringAndSize((const char *)answer.fields, (Py_ssize_t)answer.fields_size);
    PyObject *body = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)answer.length);
    if (fields == NULL || body == NULL) {
        Py_XDECREF(fields);
        Py_XDECREF(body);
        return -1;
    }
    Py_XDECREF(self->fields);
    Py_XDECREF(self->body);
    self->fields = fields;
    self->body = body;
    self->status = answer.status;
    self->coded = answer.coded;
    self->length = (Py_ssize_t)answer.length;
    self->filled = 0;
    self->plain = true;
    self->stage = IN_BODY;
    return (Py_ssize_t)answer.head_size;
}

/* The answer is complete: whoever waits may send the next request from within the call, or finds it in a list. */
static PyObject *complete(LineObject *self, bool ready)
{
    PyObject *told = self->told;
    self->told = NULL;
    self->stage = UNASKED;
    self->ready = ready;
    self->reused = true;
    PyObject *result;
    if (PyList_Check(told))
        result = put_into(told, self) ? Py_NewRef(Py_None) : NULL;
    else
        result = PyObject_CallFunctionObjArgs(told, (PyObject *)self, Py_None, NULL);
    Py_DECREF(told);
    return result;
}

/* So many bytes came since the body was last filled, the last of them possibly behind it. */
static PyObject *filled(LineObject *self, Py_ssize_t come)
{
    Py_ssize_t missing = self->length - self->filled;
    self->filled += come < missing ? come : missing;
    if (self->filled == self->length)
        return complete(self, come <= missing);
    Py_RETURN_NONE;
}

static PyObject *updated(LineObject *self, Py_ssize_t size)
{
    Py_ssize_t at = 0;
    if (!is_awaited(self))
        /* An answer that nobody asked for would be taken for the next request's. */
        return PyObject_CallMethod((PyObject *)self, "abort", NULL);
    if (self->stage == ASKED) {
        at = begin_plain(self, size);
        if (at < 0)
            return NULL;
        if (at == 0)
            self->stage = LEFT;
    }
    if (self->stage != IN_BODY)
        return PyObject_CallMethod((PyObject *)self, "parse", "n", size);
    Py_ssize_t come = size - at, missing = self->length - self->filled;
    memcpy(PyBytes_AsString(self->body) + self->filled, (const char *)self->read.buf + at,
           (size_t)(come < missing ? come : missing));
    return filled(self, come);
}

static PyObject *line_buffer_updated(LineObject *self, PyObject *number)
{
    Py_ssize_t size = PyLong_AsSsize_t(number);
    if (size == -1 && PyErr_Occurred())
        return NULL;
    if (self->buffer == NULL || size < 0 || size > self->read.len) {
        PyErr_SetString(PyExc_ValueError, "more was read than the buffer holds");
        return NULL;
    }
    return updated(self, size);
}

#if HAS_SOCKETS
static PyObject *line_readable(LineObject *self, PyObject *nothing)
{
    (void)nothing;
    if (self->buffer == NULL || self->descriptor < 0) {
        PyErr_SetString(PyExc_ValueError, "the line has no buffer or no socket");
        return NULL;
    }
    /* What is left of a body goes where it belongs, and the buffer shows what follows it. */
    bool in_body = self->stage == IN_BODY && is_awaited(self);
    struct iovec into[2] = {{.iov_base = NULL, .iov_len = 0}, {.iov_base = self->read.buf, .iov_len = (size_t)self->read.len}};
    if (in_body) {
        into[0].iov_base = PyBytes_AsString(self->body) + self->filled;
        into[0].iov_len = (size_t)(self->length - self->filled);
    }
    ssize_t size = readv(self->descriptor, in_body ? into : into + 1, in_body ? 2 : 1);
    if (size > 0)
        return in_body ? filled(self, size) : updated(self, size);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        Py_RETURN_NONE;
    return PyObject_CallMethod((PyObject *)self, "hung_up", "i", size < 0 ? errno : 0);
}
#endif

/* The answer leaves with the call: a connection that is kept keeps no page. */
static PyObject *line_take(LineObject *self, PyObject *nothing)
{
    (void)nothing;
    if (self->stage != UNASKED || self->body == NULL)
        Py_RETURN_NONE;
    PyObject *answer = Py_BuildValue("(lNNO)", self->status, self->fields, self->body, self->coded ? Py_True : Py_False);
    self->fields = self->body = NULL;
    return answer;
}

static PyMethodDef line_methods[] = {
    {"ask", (PyCFunction)(void (*)(void))line_ask, METH_FASTCALL,
     "ask(head, request, limit_bytes, plain, told, /)\n--\n\n"
     "Send a request; after its answer `told` is called, or the line put into it."},
    {"send", (PyCFunction)line_send, METH_NOARGS,
     "send()\n--\n\nWhat was asked, unless nobody waits for the answer any more."},
    {"get_buffer", (PyCFunction)line_get_buffer, METH_O, "get_buffer(sizehint, /)\n--\n\nWhere to read to."},
    {"buffer_updated", (PyCFunction)line_buffer_updated, METH_O,
     "buffer_updated(nbytes, /)\n--\n\nSo many bytes were read."},
#if HAS_SOCKETS
    {"readable", (PyCFunction)line_readable, METH_NOARGS, "readable()\n--\n\nThe socket has something to read."},
#endif
    {"take", (PyCFunction)line_take, METH_NOARGS,
     "take()\n--\n\nStatus, fields and body of a plain answer that is complete, and whether that is coded; else None."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef line_members[] = {
    {"told", T_OBJECT, offsetof(LineObject, told), 0, "Whom to tell, or the list to be put into; None where nobody waits."},
    {"request", T_OBJECT_EX, offsetof(LineObject, request), 0, "The one that is under way, or was the last."},
    {"limit_bytes", T_PYSSIZET, offsetof(LineObject, limit), READONLY, "Of the answer's body, decoded."},
    {"parsed", T_BOOL, offsetof(LineObject, parsed), 0, "Whoever parses's: false when a request is sent."},
    {"ready", T_BOOL, offsetof(LineObject, ready), 0, "Whether a request can be sent."},
    {"reused", T_BOOL, offsetof(LineObject, reused), 0, "Whether a request was answered."},
    {"plain", T_BOOL, offsetof(LineObject, plain), READONLY, "Whether the answer is a plain one."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot line_slots[] = {
    {Py_tp_init, line_init},
    {Py_tp_dealloc, line_dealloc},
    {Py_tp_traverse, line_traverse},
    {Py_tp_clear, line_clear},
    {Py_tp_methods, line_methods},
    {Py_tp_members, line_members},
    {Py_tp_doc, "Line(buffer, descriptor, outbox)\n--\n\nOne HTTP/1.1 connection of a client."},
    {0, NULL},
};

PyType_Spec line_spec = {
    .name = "airless._speed.Line",
    .basicsize = sizeof(LineObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = line_slots,
};
