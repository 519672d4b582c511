-- Back to an empty database.
DROP FUNCTION make_month, record_verifications, adopt_messages, count_outcomes, stored_answers;
DROP VIEW told;
DROP TABLE
    readiness, message, caller, label_caller, label_history, verification, imported_code, recall_event, state_event,
    batch, serial_counter, programme, product, brand, key_check, catalogue_version;
DROP SEQUENCE verification_number;
