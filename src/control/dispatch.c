/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way of a request: known interface → known method → role → length → parameters → admitted → handler. */
#include "control/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void get_info(struct call *call, void *context);
static void get_description(struct call *call, void *context);

static const struct method service_methods[] = {
    {.name = "GetInfo",
     .handle = get_info,
     .out = "vendor: string, product: string, version: string, url: string, interfaces: []string",
     .text = "Who serves here, and which interfaces.\n"},
    {.name = "GetInterfaceDescription",
     .handle = get_description,
     .in =
         (const struct parameter[]){
             {.name = "interface", .type = PARAMETER_TEXT, .required = true, .text = "The interface's name."},
             {0}},
     .out = "description: string",
     .text = "An interface's text.\n"},
    {0},
};

static const struct interface service_interface = {
    .name = "org.varlink.service",
    .text = "What every Varlink server answers.\n",
    .types = "",
    .methods = service_methods,
    .errors =
        (const struct interface_error[]){
            {"InterfaceNotFound", "interface: string", "No such interface here.\n"},
            {"MethodNotFound", "method: string", "The interface has no such method.\n"},
            {"MethodNotImplemented", "method: string", "The method is known, but not served.\n"},
            {"InvalidParameter", "parameter: string",
             "A parameter is missing, unknown or of a wrong type.\n"},
            {0}},
};

/* The handlers of org.varlink.service get the service as their context. */
static void get_info(struct call *call, void *context)
{
    const struct service *service = context;
    call_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", service->vendor, "product",
                               service->product, "version", service->version, "url", service->url,
                               "interfaces", service_interface.name, service->interface->name));
}

static void get_description(struct call *call, void *context)
{
    const struct service *service = context;
    const char *name = json_string_value(json_object_get(call_parameters(call), "interface"));
    const struct interface *known[] = {&service_interface, service->interface};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i]->name, name) != 0)
            continue;
        char *text = interface_describe(known[i]);
        if (text == NULL)
            call_error(call, "io.volleyd.Busy", json_pack("{s:s}", "reason", "no memory"));
        else
            call_reply(call, json_pack("{s:s}", "description", text));
        free(text);
        return;
    }
    call_error(call, "org.varlink.service.InterfaceNotFound", json_pack("{s:s}", "interface", name));
}

static bool of_interface(const struct interface *interface, const char *full)
{
    const char *dot = strrchr(full, '.');
    size_t length = strlen(interface->name);
    return dot != NULL && (size_t)(dot - full) == length && strncmp(full, interface->name, length) == 0;
}

const struct method *dispatch_find(const struct service *service, const struct varlink_request *request,
                                   const char **error, json_t **parameters)
{
    const struct interface *known[] = {service->interface, &service_interface};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!of_interface(known[i], request->method))
            continue;
        const struct method *method = interface_find(known[i], request->method);
        if (method == NULL) {
            *error = "org.varlink.service.MethodNotFound";
            *parameters = json_pack("{s:s}", "method", request->method);
        }
        return method;
    }
    const char *dot = strrchr(request->method, '.');
    *error = "org.varlink.service.InterfaceNotFound";
    *parameters = json_pack("{s:s%}", "interface", request->method,
                            dot == NULL ? strlen(request->method) : (size_t)(dot - request->method));
    return NULL;
}

json_t *dispatch_complaint(const char *where, const char *text)
{
    return json_pack("{s:[{s:s, s:s}]}", "complaints", "where", where, "text", text);
}

static bool is_of_service(const struct method *method)
{
    const struct method *first = service_methods;
    return method >= first && method < first + sizeof service_methods / sizeof *service_methods;
}

void dispatch_run(const struct service *service, struct call *call, size_t request_bytes)
{
    const struct method *method = call_method(call);
    void *context = is_of_service(method) ? (void *)service : service->context;
    const char *wrong = NULL;
    struct err err = {0};
    if (method->role == ROLE_CHANGE && call_peer(call)->role == ROLE_READ) {
        call_error(call, "io.volleyd.ReadOnly", json_pack("{s:s}", "method", method->name));
        return;
    }
    if (!method->large && request_bytes > VARLINK_REQUEST_BYTES) {
        call_error(call, "io.volleyd.Invalid",
                   dispatch_complaint("request", "the request is longer than 64 KiB"));
        return;
    }
    int r = interface_check(method, call_parameters(call), &wrong, &err);
    if (r == -ERANGE)
        call_error(call, "io.volleyd.Invalid", dispatch_complaint(wrong, err.text));
    else if (r < 0)
        call_error(call, "org.varlink.service.InvalidParameter", json_pack("{s:s}", "parameter", wrong));
    else if (method->role == ROLE_READ || service->admit == NULL || service->admit(call, service->context))
        method->handle(call, context);
}
