DROP TABLE recall_watch, call, report;
